"""The routes of the REST API, one file a subject. Each reads, asks the shop, and answers; nothing else happens here."""
