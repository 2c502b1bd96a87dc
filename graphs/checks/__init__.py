"""x"""
def check(g): return []
