"""Candidate sources, one a file; the fusion of what they propose; completions and corrections of what is typed."""
