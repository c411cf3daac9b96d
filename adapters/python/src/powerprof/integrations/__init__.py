"""Callbacks for trainers with loops of their own. Each module imports its trainer only when its callback is first asked for."""
