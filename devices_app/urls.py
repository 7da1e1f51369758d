"""Device routes, mounted at /api/."""

from django.urls import path

from devices_app import views

urlpatterns = [
    path("devices", views.DevicesView.as_view(), name="devices"),
    path("devices/claim", views.ClaimView.as_view(), name="device-claim"),
    path("devices/<str:device_id>", views.DeviceView.as_view(), name="device"),
    path("devices/<str:device_id>/shares", views.SharesView.as_view(), name="device-shares"),
    path("devices/<str:device_id>/shares/me", views.OwnShareView.as_view(), name="device-own-share"),
    path("devices/<str:device_id>/shares/<str:username>", views.ShareView.as_view(), name="device-share"),
    path("devices/<str:device_id>/audit", views.DeviceAuditView.as_view(), name="device-audit"),
    path("devices/<str:device_id>/transfer", views.TransferView.as_view(), name="device-transfer"),
    path("transfers", views.TransfersView.as_view(), name="transfers"),
    path("transfers/<int:transfer_id>", views.OneTransferView.as_view(), name="transfer"),
    path("transfers/<int:transfer_id>/accept", views.TransferAcceptView.as_view(), name="transfer-accept"),
]
