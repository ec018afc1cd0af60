// Package weights reads checkpoints and owns the formats and layouts of
// numbers.
//
// A checkpoint is a safetensors file, a sharded one with its index, a Hugging
// Face folder, or a GGUF file. Open maps the files into memory, checks their
// headers wholly, and shows each of them as a Hugging Face checkpoint: HF
// tensor names, HF config fields, HF row order. What differs between GGUF
// architectures is a table (arch.go): the names of tensors, the metadata keys,
// and which projections hold their rows in the order of interleaved RoPE. So
// nobody outside of this package asks where a checkpoint came from.
//
// Values stay as they are stored. A Format says how many bytes a block of
// values takes and what the values are in float32; Tensor.Row gives one row's
// values, Tensor.Raw its bytes as a view of the mapping. Nothing is inflated.
//
// A Layout says where a packed weight's bytes lie in the memory that kernels
// read. It moves bytes and never changes a value: Layout.Row of a packed weight
// is Tensor.Row of the original, bit for bit, for every format.
//
// Files are hostile input. The header is read through one bounds-checked
// reader without unsafe; counts and lengths are held against the bytes that are
// really there before anything is allocated; ranges that overlap, leave holes,
// leave the file or disagree with the shape are refused with one line that
// names file, tensor, what was found and what was wanted. A file must not be
// cut short while it is mapped: as with any mapping, the kernel answers that
// with SIGBUS.
package weights
