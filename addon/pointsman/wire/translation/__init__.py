"""What the readers and writers share.

Of requests: conversations, names, ids, schemas, losses. Of answers: what they are read from (`frames`,
`failures`), the order of their events (`reading`), one block after another (`writing`).
"""
