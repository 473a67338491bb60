"""Agents for gaelp worlds: baselines, training, evaluation, and the command line over them."""
