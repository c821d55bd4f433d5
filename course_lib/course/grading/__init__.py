"""Grading many learners' copies: their code runs in a sandbox, and what came is judged outside of it."""
