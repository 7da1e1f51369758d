"""Device routes, mounted at /api/."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from auth_app.audit.entries import audit_of_device
from auth_app.rest.view import ApiView
from auth_app.scopes import TokenScope
from auth_app.serializers import AuditPageOutput
from core.openapi import described
from devices_app import openapi, selectors, services, transfers
from devices_app.serializers import DeviceOutput, ShareOutput, TransferOutput


class DevicesView(ApiView):
    @described(openapi.DEVICES)
    def get(self, request: Request) -> Response:
        return Response(DeviceOutput(selectors.devices_of(self.user.pk), many=True).data)


class ClaimView(ApiView):
    @described(openapi.CLAIM)
    def post(self, request: Request) -> Response:
        fields = self.body()
        services.device_claim(user=self.user, address=self.address, **fields)
        return Response(DeviceOutput(selectors.device_of(self.user.pk, fields["device_id"])).data, status=201)


class DeviceView(ApiView):
    @described(openapi.DEVICE)
    def get(self, request: Request, device_id: str) -> Response:
        return Response(DeviceOutput(selectors.device_of(self.user.pk, device_id)).data)

    @described(openapi.DEVICE_UPDATE)
    def patch(self, request: Request, device_id: str) -> Response:
        selectors.device_owned(self.user.pk, device_id)
        services.device_update(user=self.user, device_id=device_id, **self.body())
        return Response(DeviceOutput(selectors.device_of(self.user.pk, device_id)).data)

    @described(openapi.DEVICE_RELEASE)
    def delete(self, request: Request, device_id: str) -> Response:
        services.device_release(user=self.user, address=self.address, device_id=device_id)
        return Response(status=204)


class SharesView(ApiView):
    @described(openapi.SHARES)
    def get(self, request: Request, device_id: str) -> Response:
        device = selectors.device_owned(self.user.pk, device_id)
        return Response(ShareOutput(selectors.shares_of(device), many=True).data)

    @described(openapi.SHARE_SET)
    def post(self, request: Request, device_id: str) -> Response:
        selectors.device_owned(self.user.pk, device_id)
        fields = self.body()
        grant = services.share_set(user=self.user, address=self.address, device_id=device_id, **fields)
        return Response(ShareOutput(grant).data, status=201)


class ShareView(ApiView):
    @described(openapi.SHARE_REMOVE)
    def delete(self, request: Request, device_id: str, username: str) -> Response:
        services.share_remove(user=self.user, address=self.address, device_id=device_id, username=username)
        return Response(status=204)


class OwnShareView(ApiView):
    @described(openapi.SHARE_LEAVE)
    def delete(self, request: Request, device_id: str) -> Response:
        services.share_leave(user=self.user, address=self.address, device_id=device_id)
        return Response(status=204)


class TransferView(ApiView):
    @described(openapi.TRANSFER)
    def post(self, request: Request, device_id: str) -> Response:
        selectors.device_owned(self.user.pk, device_id)
        fields = self.body()
        transfer = transfers.transfer_offer(user=self.user, address=self.address, device_id=device_id, **fields)
        return Response(TransferOutput(transfer).data, status=202)


class TransfersView(ApiView):
    @described(openapi.TRANSFERS)
    def get(self, request: Request) -> Response:
        return Response(TransferOutput(transfers.transfers_of(self.user), many=True).data)


class OneTransferView(ApiView):
    @described(openapi.TRANSFER_END)
    def delete(self, request: Request, transfer_id: int) -> Response:
        transfers.transfer_end(user=self.user, address=self.address, transfer_id=transfer_id)
        return Response(status=204)


class TransferAcceptView(ApiView):
    @described(openapi.TRANSFER_ACCEPT)
    def post(self, request: Request, transfer_id: int) -> Response:
        device_id = transfers.transfer_accept(user=self.user, address=self.address, transfer_id=transfer_id)
        return Response(DeviceOutput(selectors.device_of(self.user.pk, device_id)).data)


class DeviceAuditView(ApiView):
    reading = TokenScope.MANAGE

    @described(openapi.AUDIT)
    def get(self, request: Request, device_id: str) -> Response:
        selectors.device_owned(self.user.pk, device_id)
        return Response(AuditPageOutput(audit_of_device(device_id, self.user, **self.question())).data)
