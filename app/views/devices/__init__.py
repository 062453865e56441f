"""The Devices view: the person's sessions on all devices."""
