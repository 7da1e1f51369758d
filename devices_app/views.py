"""Device routes, mounted at /api/."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from auth_app.api import ApiView
from auth_app.audit import audit_of_device
from auth_app.scopes import Scope
from auth_app.serializers import AuditPageOutput, AuditQuery
from devices_app import selectors, services
from devices_app.serializers import ClaimInput, DeviceInput, DeviceOutput, ShareInput, ShareOutput, TransferInput


class DevicesView(ApiView):
    def get(self, request: Request) -> Response:
        return Response(DeviceOutput(selectors.devices_of(self.user.pk), many=True).data)


class ClaimView(ApiView):
    def post(self, request: Request) -> Response:
        fields = self.body(ClaimInput)
        services.device_claim(user=self.user, address=self.address, **fields)
        return Response(DeviceOutput(selectors.device_of(self.user.pk, fields["device_id"])).data, status=201)


class DeviceView(ApiView):
    def get(self, request: Request, device_id: str) -> Response:
        return Response(DeviceOutput(selectors.device_of(self.user.pk, device_id)).data)

    def patch(self, request: Request, device_id: str) -> Response:
        selectors.device_owned(self.user.pk, device_id)
        services.device_update(user=self.user, device_id=device_id, **self.body(DeviceInput))
        return Response(DeviceOutput(selectors.device_of(self.user.pk, device_id)).data)

    def delete(self, request: Request, device_id: str) -> Response:
        services.device_release(user=self.user, address=self.address, device_id=device_id)
        return Response(status=204)


class SharesView(ApiView):
    def get(self, request: Request, device_id: str) -> Response:
        device = selectors.device_owned(self.user.pk, device_id)
        return Response(ShareOutput(selectors.shares_of(device), many=True).data)

    def post(self, request: Request, device_id: str) -> Response:
        selectors.device_owned(self.user.pk, device_id)
        fields = self.body(ShareInput)
        grant = services.share_set(user=self.user, address=self.address, device_id=device_id, **fields)
        return Response(ShareOutput(grant).data, status=201)


class ShareView(ApiView):
    def delete(self, request: Request, device_id: str, username: str) -> Response:
        services.share_remove(user=self.user, address=self.address, device_id=device_id, username=username)
        return Response(status=204)


class TransferView(ApiView):
    def post(self, request: Request, device_id: str) -> Response:
        selectors.device_owned(self.user.pk, device_id)
        fields = self.body(TransferInput)
        services.device_transfer(user=self.user, address=self.address, device_id=device_id, **fields)
        return Response(status=204)


class DeviceAuditView(ApiView):
    reading = Scope.MANAGE

    def get(self, request: Request, device_id: str) -> Response:
        selectors.device_owned(self.user.pk, device_id)
        return Response(AuditPageOutput(audit_of_device(device_id, self.user, **self.question(AuditQuery))).data)
