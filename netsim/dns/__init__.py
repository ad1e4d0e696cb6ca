"""The cluster's DNS: records, answers, resolvers, a server."""
