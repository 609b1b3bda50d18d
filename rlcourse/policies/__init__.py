"""Part III: methods that parametrise the policy."""
