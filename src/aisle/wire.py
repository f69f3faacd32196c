"""What travels over HTTP: bodies of requests and answers, shared by the server and its client."""
