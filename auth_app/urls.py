"""Account routes: `api_urlpatterns` are mounted at /api/auth/, `page_urlpatterns` at the root."""

from django.urls import path

from auth_app import pages, views

api_urlpatterns = [
    path("register", views.RegisterView.as_view(), name="register"),
    path("login", views.LoginView.as_view(), name="api-login"),
    path("logout", views.LogoutView.as_view(), name="api-logout"),
    path("me", views.MeView.as_view(), name="me"),
    path("password", views.PasswordView.as_view(), name="password"),
    path("tokens", views.ApiKeysView.as_view(), name="tokens"),
    path("tokens/<int:token_id>", views.ApiKeyView.as_view(), name="token"),
    path("sessions", views.SessionsView.as_view(), name="sessions"),
    path("sessions/<int:session_id>", views.SessionView.as_view(), name="session"),
    path("audit", views.AuditView.as_view(), name="account-audit"),
    path("ws-ticket", views.TicketView.as_view(), name="ws-ticket"),
]

page_urlpatterns = [
    path("login", pages.login_page, name="login"),
    path("register", pages.register_page, name="register-page"),
    path("logout", pages.logout_page, name="logout"),
]
