package library

import "strings"

// Numbers of books have ten characters or thirteen digits, and the last one checks the others (ISO 2108).

// ParseISBN returns the number in text as it is kept, without hyphens, and whether it has 10 or 13 characters of which the last is right.
func ParseISBN(text string) (number string, ok bool) {
	number = strings.Map(func(r rune) rune {
		if strings.ContainsRune("- \u00a0\u2010\u2011\u2012\u2013", r) {
			return -1
		}
		return r
	}, strings.ToUpper(strings.TrimSpace(text)))
	switch len(number) {
	case 10:
		return number, isISBN10(number)
	case 13:
		return number, isISBN13(number)
	}
	return number, false
}

func isISBN10(s string) bool {
	sum := 0
	for i := range 10 {
		digit := int(s[i]) - '0'
		switch {
		case i == 9 && s[i] == 'X':
			digit = 10
		case digit < 0 || digit > 9:
			return false
		}
		sum += (10 - i) * digit
	}
	return sum%11 == 0
}

func isISBN13(s string) bool {
	if !strings.HasPrefix(s, "978") && !strings.HasPrefix(s, "979") {
		return false
	}
	sum := 0
	for i := range 13 {
		digit := int(s[i]) - '0'
		if digit < 0 || digit > 9 {
			return false
		}
		sum += digit * (1 + 2*(i%2))
	}
	return sum%10 == 0
}
