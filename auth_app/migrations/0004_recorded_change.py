import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("auth_app", "0003_older_keys_keep_their_abilities"),
    ]

    operations = [
        migrations.CreateModel(
            name="RecordedChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("change", models.TextField()),
                ("time", models.DateTimeField(default=django.utils.timezone.now)),
            ],
            options={"indexes": [models.Index(fields=["time"], name="recorded_change_by_time")]},
        ),
    ]
