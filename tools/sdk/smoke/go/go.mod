module smoke

go 1.23

require github.com/bjr/client-go v0.0.0

replace github.com/bjr/client-go => ./sdk
