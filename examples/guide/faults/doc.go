// Package faults does to the replicas of package quickstart what the guide's page
// on faults describes.
package faults
