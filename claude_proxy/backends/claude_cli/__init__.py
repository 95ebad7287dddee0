"""The official `claude` CLI as a backend: warm processes, each made one conversation's own when its request comes."""
