package process

// shell can become this test binary by a descriptor, with /proc.
const shell = "/bin/sh"
