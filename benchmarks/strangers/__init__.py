"""What strangers may send, sent: documents, messages and names that mean harm, and kills at any moment."""
