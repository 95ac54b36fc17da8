// Package nodeside is a program with a setting.
package nodeside

var patience = 10

func wait() int { return patience }
