"""`console`: one conversation in the terminal, with everything that a job has but the room."""
