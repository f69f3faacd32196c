"""The REST API and the pages: HTTP in front of a shop object. Knows no other room than the shop and its words."""
