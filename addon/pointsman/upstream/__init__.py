"""The way to the provider: the one place that touches mitmproxy's HTTP layers."""
