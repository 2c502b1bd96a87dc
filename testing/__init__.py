"""What users test their graphs with."""
