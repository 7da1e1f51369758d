"""The textbook version: an async Django view, token and ownership by the ORM, plain time_bucket, JsonResponse.

It follows the tutorials and has no mistakes: async ORM calls, select_related, an index for every query, one
asynchronous psycopg pool, one SQL statement. It returns the same columns for the same buckets.
"""
