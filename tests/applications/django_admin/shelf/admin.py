from django.contrib import admin

from shelf.models import Book

admin.site.register(Book, list_display=["title", "pages"], search_fields=["title"])
