"""What drives a core: effects, timers, jobs, delivery, storage and recording."""
