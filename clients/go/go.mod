module pagekeep

go 1.19
