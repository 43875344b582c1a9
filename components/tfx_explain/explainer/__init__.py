"""The Explainer component: what a user wires, and what runs."""
