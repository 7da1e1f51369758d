"""The textbook version: an async Django view, token and ownership by the ORM, raw time_bucket, JsonResponse.

Written as the tutorials do it, without mistakes: async ORM calls, select_related, an index for every query, one
asynchronous psycopg pool, one SQL statement. It answers the same columns for the same buckets.
"""
