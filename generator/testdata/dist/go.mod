module github.com/distkit/dist
go 1.26.0
