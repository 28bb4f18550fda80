"""The workers of an app, and the policy that keeps them alive."""
