package library

const (
	longText        = 10_000    // code points, of every text without a limit of its own
	longDescription = 1 << 20   // code points
	longJSON        = 256 << 10 // bytes
)

// Books are the books of a user's library (contract: papyrus, section 5).
var Books = &Table{
	Name: "books", Key: "book_id", Owner: "owner_user_id",
	Columns: []Column{
		{Name: "title", Kind: Text, MaxLen: longText, Default: "Untitled Book", Blank: "Untitled Book"},
		{Name: "subtitle", Kind: Text, MaxLen: longText},
		{Name: "author", Kind: Text, MaxLen: longText},
		{Name: "co_authors", Kind: List, MaxLen: longJSON},
		{Name: "isbn", Kind: Text, MaxLen: longText},
		{Name: "isbn13", Kind: Text, MaxLen: longText},
		{Name: "publisher", Kind: Text, MaxLen: longText},
		{Name: "language", Kind: Text, MaxLen: longText},
		{Name: "page_count", Kind: Integer},
		{Name: "description", Kind: Text, MaxLen: longDescription},
		{Name: "cover_image_url", Kind: Text, MaxLen: longText},
		{Name: "reading_status", Kind: Text, MaxLen: 64},
		{Name: "current_page", Kind: Integer},
		{Name: "current_position", Kind: Real},
		{Name: "current_cfi", Kind: Text, MaxLen: longText},
		{Name: "is_favorite", Kind: Boolean, Default: int64(0)},
		{Name: "rating", Kind: Integer},
		{Name: "custom_metadata", Kind: Object, MaxLen: longJSON},
		{Name: "added_at", Kind: Time, Set: ByCreation},
		{Name: "updated_at", Kind: Time, Set: ByServer},
	},
}
