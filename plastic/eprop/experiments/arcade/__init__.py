"""Games on a screen: what is played, in processes of its own, and the agent that learns by what it sees."""
