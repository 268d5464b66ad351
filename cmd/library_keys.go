package cmd

import (
	"bufio"
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

// sendKeys sends the keys that a terminal reads, until it has sent keyQuit, or ctx ends. The end of the terminal is keyQuit, too.
func sendKeys(ctx context.Context, terminal io.Reader, keys chan<- key) {
	in := bufio.NewReader(terminal)
	for {
		k, err := readKey(in)
		if err != nil {
			k = keyQuit
		}
		select {
		case keys <- k:
		case <-ctx.Done():
			return
		}
		if k == keyQuit {
			return // what is typed now is for whom the terminal is given back to
		}
	}
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
