"""From the document model to markdown, HTML, text and docling; text never becomes markup."""
