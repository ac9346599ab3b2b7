"""What Chat Completions and Responses share: accounts, clients, errors, usage, and rules about parameters.

No surface of its own: see `openai_chat` and `openai_responses`.
"""
