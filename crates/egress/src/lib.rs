//! Who may be reached and how: names, addresses, the one HTTP client.
