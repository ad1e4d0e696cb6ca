"""nginx configuration for a stock nginx: what of an ingress-nginx table it can express, every value quoted or
refused.
"""
