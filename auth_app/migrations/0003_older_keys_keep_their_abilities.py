from django.db import migrations


def keep(apps, schema_editor):
    """API keys made before there were scopes go on doing what they did."""
    tokens = apps.get_model("auth_app", "AccessToken").objects.using(schema_editor.connection.alias)
    tokens.filter(kind="api_key", scopes="").update(scopes="read live manage")


class Migration(migrations.Migration):

    dependencies = [
        ("auth_app", "0002_accesstoken_scopes_auditentry"),
    ]

    operations = [migrations.RunPython(keep, migrations.RunPython.noop)]
