"""What routing is worth on prompts that nobody trained with.

Order of reading: `pools` (which models compete on which prompts), `routers` (what is
compared), `judge` (the yardsticks and their intervals), `study` (who is judged on what),
`table` and `picture` (how it is shown).
"""
