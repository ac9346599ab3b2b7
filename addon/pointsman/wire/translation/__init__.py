"""What the readers and writers of requests share: conversations, names, ids, schemas, losses."""
