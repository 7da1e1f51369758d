"""Recovery: which readings a subscription or a device missed, and how it joins the stream without losing one."""
