package text

// The tokenizer is Rust: a static library that `make lib` builds from the source in the Go module and leaves in this
// folder of the checkout. Written here, the path serves every go command, by hand too, without an environment. (The
// linker heeds a -L wherever it stands, so ours also serves the -ltokenizers of the module itself.) A program outside
// of the checkout that imports this package sets CGO_LDFLAGS=-L<folder of libtokenizers.a> for itself.

// #cgo LDFLAGS: -L${SRCDIR}/../../.cache/tokenizers/v1.22.1
import "C"
