// Package browser tests the page of dist report in a real browser, Chromium
// without a window. It is a module of its own, for none of what drives a
// browser is wanted by those who only test.
package browser
