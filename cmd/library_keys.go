package cmd

import (
	"context"
	"io"
)

// key is what a person may ask for on the screen of a watch.
type key int

// The keys.
const (
	keyNone key = iota // of no meaning here
	keyQuit
	keyUp
	keyDown
	keyPageUp
	keyPageDown
	keyHome
	keyEnd
)

const escape = 0x1b

// byteKeys are those of one byte, as less has them. Raw terminals send Ctrl-C, Ctrl-B and the like as bytes.
var byteKeys = map[byte]key{
	'q': keyQuit, 'Q': keyQuit, 0x03: keyQuit,
	'k': keyUp, 0x10: keyUp, 'j': keyDown, 0x0e: keyDown, '\r': keyDown,
	'b': keyPageUp, 0x02: keyPageUp, ' ': keyPageDown, 'f': keyPageDown, 0x06: keyPageDown,
	'g': keyHome, 'G': keyEnd,
}

// sequenceKeys are those of what follows "ESC [" or "ESC O" (ECMA-48, and xterm's and the VT220's keys).
var sequenceKeys = map[string]key{
	"A": keyUp, "B": keyDown, "5~": keyPageUp, "6~": keyPageDown,
	"H": keyHome, "1~": keyHome, "7~": keyHome, "F": keyEnd, "4~": keyEnd, "8~": keyEnd,
}

// sendKeys sends the keys that a terminal reads, until it has sent keyQuit, or ctx ends. The end of the terminal is keyQuit, too. What is
// typed after that is not read: it is for whom the terminal is given back to.
func sendKeys(ctx context.Context, terminal io.Reader, keys chan<- key) {
	for {
		k, err := readKey(oneByOne{terminal})
		if err != nil {
			k = keyQuit
		}
		select {
		case keys <- k:
		case <-ctx.Done():
			return
		}
		if k == keyQuit {
			return
		}
	}
}

// oneByOne reads no byte that is not asked for.
type oneByOne struct{ io.Reader }

// ReadByte implements [io.ByteReader].
func (r oneByOne) ReadByte() (byte, error) {
	var b [1]byte
	_, err := io.ReadFull(r, b[:])
	return b[0], err
}

// readKey reads one key. An Escape that begins no sequence is as if it had not been typed.
func readKey(in io.ByteReader) (key, error) {
	b, err := in.ReadByte()
	for err == nil && b == escape {
		if b, err = in.ReadByte(); err == nil && (b == '[' || b == 'O') {
			return readSequence(in)
		}
	}
	return byteKeys[b], err
}

// longestSequence is more than any that has a meaning here.
const longestSequence = 8

// readSequence reads up to the byte that ends a sequence, or breaks it off and is a key by itself.
func readSequence(in io.ByteReader) (key, error) {
	var sequence []byte
	for {
		b, err := in.ReadByte()
		switch {
		case err != nil:
			return keyNone, err
		case b < ' ' || b > '~':
			return byteKeys[b], nil
		case len(sequence) < longestSequence:
			sequence = append(sequence, b)
		}
		if b >= '@' {
			return sequenceKeys[string(sequence)], nil
		}
	}
}
