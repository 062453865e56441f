"""The Devices view: where the person is signed in."""
