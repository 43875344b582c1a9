"""The ExplanationValidator component: what a user wires, what runs, and the judgement that both share with the CLI."""
