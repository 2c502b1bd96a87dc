"""What comes of odd input at every door: arguments, configuration, input, answers, calls, documents, records."""
